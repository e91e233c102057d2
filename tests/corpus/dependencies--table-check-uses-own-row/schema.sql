CREATE TABLE own_row (a int); CREATE FUNCTION row_ok(own_row) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1.a > 0'; ALTER TABLE own_row ADD CHECK (row_ok(own_row.*));
