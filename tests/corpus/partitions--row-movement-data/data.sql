INSERT INTO prm VALUES (1,'a'),(1,'b'); UPDATE prm SET k = 2 WHERE v = 'b';
