CREATE TABLE "表" ("列" text); COMMENT ON COLUMN "表"."列" IS '注釈';
