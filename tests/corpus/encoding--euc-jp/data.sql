INSERT INTO "表" VALUES ('日本語'), ('カタカナ');
