INSERT INTO ms VALUES ('2020-03-04 05:06+00', '1 day', 0.1::float8 + 0.2, '\xdeadbeef');
