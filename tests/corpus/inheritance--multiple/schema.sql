CREATE TABLE p1 (a int, x int NOT NULL); CREATE TABLE p2 (a int, y int); CREATE TABLE c12 (a int, z int) INHERITS (p1, p2);
