INSERT INTO "a ""quoted"" table" VALUES (1,'☃',2,3,4,5,6,7,8,9,10);
