CREATE TABLE emptied (a int); INSERT INTO emptied VALUES (1),(2); ALTER TABLE emptied DROP COLUMN a;
