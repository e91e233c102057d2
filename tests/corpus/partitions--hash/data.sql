INSERT INTO ph SELECT i, 'x'||i FROM generate_series(1,50) i;
