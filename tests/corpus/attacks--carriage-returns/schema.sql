CREATE TABLE "cr
x" (a text DEFAULT E'\r\n\\.\r\n'); CREATE TYPE "e
\!" AS ENUM (E'v\r\n\\! id');
