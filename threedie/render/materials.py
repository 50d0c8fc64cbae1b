"""Material nodes: what the published data set's importer made of an MTL, and plain materials.

Works on node trees that it is given; scene.py owns bpy. The published pictures come from Blender's
legacy OBJ importer through BlenderProc; Blender 4's importer differs in the points mended here.
"""

from __future__ import annotations

from typing import Any

from threedie.render.meshes.mesh import Material

VERTEX_COLOR = "vertex_color"  # Cycles has a meaning of its own for "color"


def mend_imported_material(material: Any) -> None:
    """Make a material of Blender 4's OBJ importer what the legacy importer and BlenderProc made."""
    shader = principled(material)
    if shader is None:
        return
    # The legacy importer ignored Tf; the new one makes glass of it.
    shader.inputs["Transmission Weight"].default_value = 0.0
    _light_up_emission(shader)
    _invert_alpha(material.node_tree, shader)


def _light_up_emission(shader: Any) -> None:
    """Emission strength 1 where there is a Ke (white is the socket's default, not a Ke)."""
    color = shader.inputs["Emission Color"]
    has_color = tuple(color.default_value)[:3] not in ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    shader.inputs["Emission Strength"].default_value = 1.0 if has_color or color.is_linked else 0.0


def _invert_alpha(tree: Any, shader: Any) -> None:
    """Treat map_d as BlenderProc does: as Non-Color, and inverted if the material has more images.

    A material with more than one image node, one of which feeds Alpha, gets that image's Color
    through an Invert node into Alpha.
    """
    alpha = shader.inputs["Alpha"]
    source = alpha.links[0].from_node if alpha.is_linked else None
    if source is None or source.type != "TEX_IMAGE":
        return
    # One picture for colour and alpha can't have two colour spaces.
    base = shader.inputs["Base Color"]
    if not (base.is_linked and base.links[0].from_node.image == source.image):
        source.image.colorspace_settings.name = "Non-Color"
    if sum(node.type == "TEX_IMAGE" for node in tree.nodes) > 1:
        invert = tree.nodes.new("ShaderNodeInvert")
        tree.links.new(source.outputs["Color"], invert.inputs["Color"])
        tree.links.new(invert.outputs["Color"], alpha)


def fill_material(target: Any, material: Material, image: Any, *, vertex_color: bool) -> None:
    """Write a plain material into a Blender material that uses nodes.

    Args:
        target: Blender's material.
        material: its values.
        image: Blender's image of the base colour, or None.
        vertex_color: take the base colour from the mesh's attribute VERTEX_COLOR instead.
    """
    tree, shader = target.node_tree, principled(target)
    shader.inputs["Base Color"].default_value = (*material.base_color, 1.0)
    shader.inputs["Alpha"].default_value = material.alpha
    shader.inputs["Roughness"].default_value = material.roughness
    shader.inputs["Metallic"].default_value = material.metallic
    if image is not None:
        texture = tree.nodes.new("ShaderNodeTexImage")
        texture.image = image
        tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
        tree.links.new(texture.outputs["Alpha"], shader.inputs["Alpha"])
    elif vertex_color:
        attribute = tree.nodes.new("ShaderNodeAttribute")
        attribute.attribute_name = VERTEX_COLOR
        tree.links.new(attribute.outputs["Color"], shader.inputs["Base Color"])


def principled(material: Any) -> Any:
    """The Principled BSDF of a material, or None."""
    nodes = material.node_tree.nodes if material and material.use_nodes else ()
    return next((node for node in nodes if node.type == "BSDF_PRINCIPLED"), None)
