CREATE TABLE late_p (a int, b int); CREATE TABLE late_c (c text, b int, a int); ALTER TABLE late_c INHERIT late_p;
