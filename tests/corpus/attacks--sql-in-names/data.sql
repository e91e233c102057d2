INSERT INTO victim VALUES (1); SELECT nextval('"s''); DROP TABLE victim; --"');
