CREATE TABLE holes (a int, b text, c int, d text DEFAULT 'd'); ALTER TABLE holes DROP COLUMN a; ALTER TABLE holes DROP COLUMN c; ALTER TABLE holes ADD e int DEFAULT 7;
