CREATE TABLE par (a int, b text DEFAULT 'p', CHECK (a > 0)); CREATE TABLE chi (c int) INHERITS (par); ALTER TABLE chi ALTER b SET DEFAULT 'c'; CREATE TABLE gra () INHERITS (chi);
