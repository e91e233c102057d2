CREATE TABLE "tablé" ("çol" text, b bytea); COMMENT ON TABLE "tablé" IS 'déjà vu'; CREATE TYPE "énum" AS ENUM ('à', 'ß');
