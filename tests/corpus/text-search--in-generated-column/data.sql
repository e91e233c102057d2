INSERT INTO doc (id, body) VALUES (1,'The quick brown foxes');
