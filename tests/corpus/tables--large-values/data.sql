INSERT INTO big SELECT i, repeat(md5(i::text), 30000), decode(repeat(md5(i::text), 20000),'hex') FROM generate_series(1,5) i;
