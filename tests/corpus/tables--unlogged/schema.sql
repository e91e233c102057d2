CREATE UNLOGGED TABLE fast (a int PRIMARY KEY, s serial);
