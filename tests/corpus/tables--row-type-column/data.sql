INSERT INTO rt_user VALUES (ROW(1,'x"y,z'), ARRAY[ROW(2,NULL)::rt_base]);
