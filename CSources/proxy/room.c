/* placeholder to be replaced */
extern int mesh_proxy_room;
int mesh_proxy_room;
