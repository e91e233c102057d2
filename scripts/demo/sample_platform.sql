-- What a project owner may hang onto the platform's own tables. On the platform an extension of the server
-- lets postgres do it; here supabase_admin does.

create trigger on_auth_user_created after insert on auth.users for each row execute function public.handle_new_user();
create policy "Own folder" on storage.objects for insert to authenticated
    with check (bucket_id = 'avatars' and (storage.foldername(name))[1] = (select auth.uid())::text);
create policy "Public pictures" on storage.objects for select using (bucket_id = 'public');
