"""Meshes: where they come from, and the gate between a stranger's file and Blender.

sources.py lists and fetches; folder_source.py and zip_source.py read; gate.py is the one door,
gate_obj.py and gate_mtl.py rewrite OBJ files, read_*.py check other formats for trimesh;
mesh.py holds the plain values that come out.
"""
