CREATE TYPE _x AS ENUM ('q'); CREATE TYPE x AS ENUM ('r'); CREATE TABLE xs (a x[], b _x[]);
