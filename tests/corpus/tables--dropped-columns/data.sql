INSERT INTO holes VALUES ('b','x',1),('',NULL,NULL);
