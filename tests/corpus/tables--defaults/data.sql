INSERT INTO defaults (a,c) VALUES (1,'2020-01-01');
