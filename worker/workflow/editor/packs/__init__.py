"""What scripts of node packs do in the editor: a module a pack, whose rules plug into loading and sending."""
