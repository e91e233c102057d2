SELECT nextval('s1'), nextval('s2'); SELECT setval('s3', 77, false);
