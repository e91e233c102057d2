INSERT INTO "tablé" VALUES ('àéîõü ÿ', '\xff00'), ('£', NULL);
