INSERT INTO pl VALUES ('a',1),('zz',2),('it''s',3);
