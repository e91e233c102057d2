CREATE TABLE rt_base (a int, b text); CREATE TABLE rt_user (r rt_base, rs rt_base[]);
