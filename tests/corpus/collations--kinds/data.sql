INSERT INTO colt VALUES ('a','b');
