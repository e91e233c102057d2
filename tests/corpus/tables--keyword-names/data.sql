INSERT INTO "table"."user" VALUES (1,2,'a',4);
