CREATE TABLE sb (a smallserial, b serial, c bigserial); ALTER SEQUENCE sb_b_seq MAXVALUE 1000 RESTART 10;
