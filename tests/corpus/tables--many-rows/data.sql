INSERT INTO many SELECT i, 'v' || (i*7919 % 1000) FROM generate_series(1,20000) i; DELETE FROM many WHERE id % 3 = 0;
