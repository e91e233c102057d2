CREATE TABLE "a ""quoted"" table" ("select" int, "Ünïcödé ☃" text, "with.dot" int, "with space" int, "back\slash" int, "it's" int, "new
line" int, "%I %s" int, "$1" int, "a,b" int, "(x)" int); CREATE INDEX "idx ""q"" .x" ON "a ""quoted"" table" ("select", "with.dot"); COMMENT ON COLUMN "a ""quoted"" table"."new
line" IS E'multi\nline \\ '' "x"';
