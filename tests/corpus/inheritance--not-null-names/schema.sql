-- The parent's constraint was never checked, the children's are their own affair.
CREATE TABLE trusting (v int);
CREATE TABLE checked () INHERITS (trusting);
CREATE TABLE checked_here (v int) INHERITS (trusting);
ALTER TABLE trusting ADD NOT NULL v NOT VALID;
ALTER TABLE checked VALIDATE CONSTRAINT trusting_v_not_null;
ALTER TABLE checked_here VALIDATE CONSTRAINT trusting_v_not_null;
COMMENT ON CONSTRAINT trusting_v_not_null ON checked IS 'checked in this one';
CREATE TABLE strict_parent (v int NOT NULL);
CREATE TABLE of_both () INHERITS (trusting, strict_parent);
CREATE TABLE between () INHERITS (trusting);
CREATE TABLE below () INHERITS (between);
ALTER TABLE below VALIDATE CONSTRAINT trusting_v_not_null;

-- Names of parent and child differ, neither is checked.
CREATE TABLE late_parent (x int);
CREATE TABLE late_child () INHERITS (late_parent);
ALTER TABLE late_child ADD CONSTRAINT z_child NOT NULL x NOT VALID;
ALTER TABLE late_parent ADD CONSTRAINT a_parent NOT NULL x NOT VALID;
COMMENT ON CONSTRAINT z_child ON late_child IS 'kept';

-- The same of partitions.
CREATE TABLE whole (a int, b int) PARTITION BY LIST (a);
ALTER TABLE whole ADD CONSTRAINT of_whole NOT NULL a NOT VALID;
CREATE TABLE piece_1 PARTITION OF whole FOR VALUES IN (1, 2);
CREATE TABLE piece_2 (a int, CONSTRAINT of_piece NOT NULL a, b int);
ALTER TABLE whole ATTACH PARTITION piece_2 FOR VALUES IN (3, 4);
CREATE TABLE piece_3 (a int, b int);
INSERT INTO piece_3 VALUES (NULL, 1);
ALTER TABLE piece_3 ADD CONSTRAINT not_yet NOT NULL a NOT VALID;
ALTER TABLE whole ATTACH PARTITION piece_3 FOR VALUES IN (NULL, 5);
