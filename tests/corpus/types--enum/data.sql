INSERT INTO ent VALUES ('first', '{a,"with space"}');
