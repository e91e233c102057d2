INSERT INTO raw VALUES (E'\xff\xfe\x80'), (E'caf\xc3\xa9');
