INSERT INTO cx VALUES ('Ab@x','{a,B}');
