INSERT INTO dt VALUES (1,2,'x','{1}');
