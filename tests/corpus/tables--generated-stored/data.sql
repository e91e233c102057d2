INSERT INTO gen (a,d) VALUES (1,10),(2,20);
