INSERT INTO mt VALUES ('1', '{2;3}');
