INSERT INTO late_c VALUES ('c',1,2);
