SELECT lo_create(70003); SELECT lo_put(70003, 100000, 'tail'::bytea); SELECT lo_from_bytea(70004, ''::bytea); SELECT lo_from_bytea(70005, convert_to(repeat('z',2048),'UTF8'));
