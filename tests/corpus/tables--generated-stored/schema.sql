CREATE TABLE gen (a int, b int GENERATED ALWAYS AS (a*2) STORED, c text GENERATED ALWAYS AS ('n' || a::text) STORED NOT NULL, d int);
