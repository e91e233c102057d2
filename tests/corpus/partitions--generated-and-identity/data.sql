INSERT INTO pgi (a) VALUES (1),(2);
