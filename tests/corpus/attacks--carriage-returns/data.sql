INSERT INTO "cr
x" VALUES (E'\r\n\\.\r\n'), (E'\\.'), (E'\n\\! id\n');
