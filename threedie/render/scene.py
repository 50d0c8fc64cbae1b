"""The scene in Blender: the only module that imports bpy.

A `Stage` holds floor, lights and camera of a recipe; objects come and go on it, views are rendered
from latents. Constants are those of facebookresearch/SIE data/main.py (see recipes.py); where one
of Blender's own defaults matters it is set here, so that a new Blender can't move it.
"""

from __future__ import annotations

import colorsys
import contextlib
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from threedie.errors import AssetError, ConfigError, MissingExtra, RenderError
from threedie.manifests.latents import Latents
from threedie.manifests.recipes import Quality, Recipe
from threedie.render.materials import VERTEX_COLOR, fill_material, mend_imported_material
from threedie.render.meshes.mesh import Mesh, ObjFile, TriangleMesh

try:
    import bpy
    from mathutils import Euler, Matrix, Vector
except ImportError as err:  # no wheel for this Python, or a system library is missing
    raise MissingExtra("bpy", "render", why=str(err)) from err

if not (4, 2) <= bpy.app.version[:2] < (5, 0):
    raise ConfigError(
        f"bpy {bpy.app.version_string} is not supported: 4.2 to 4.5 are (5.x draws this scene "
        "differently and is untested). Install it with: pip install 'threedie[render]'."
    )

GPU_TYPES = ("OPTIX", "CUDA", "HIP", "METAL", "ONEAPI")
_SMOOTH_BELOW_RAD = math.radians(30)


def blender_version() -> str:
    """For the provenance: version and build hash."""
    return f"{bpy.app.version_string} ({bpy.app.build_hash.decode()})"


def gpu_devices() -> dict[str, list[str]]:
    """The devices that Cycles sees, by type; an empty dict on a machine without a usable GPU."""
    found: dict[str, list[str]] = {}
    preferences = bpy.context.preferences.addons["cycles"].preferences
    for kind in GPU_TYPES:
        with contextlib.suppress(Exception):  # a type that this build of Blender lacks
            devices = preferences.get_devices_for_type(kind)
            if names := [d.name for d in devices if d.type == kind]:
                found[kind.lower()] = names
    return found


class Stage:
    """Floor, light and camera of a recipe, and at most one object.

    Args:
        recipe: the scene.
        quality: how well a view is sampled.
        size: side of the square picture in pixels.
        threads: CPU threads of Cycles and the denoiser.
        scratch: an existing private folder for the pictures' way out of Blender.
        device: "cpu" or a type of `gpu_devices`.
        device_index: which of the GPUs of that type.
    """

    def __init__(
        self,
        recipe: Recipe,
        quality: Quality,
        *,
        size: int,
        threads: int,
        scratch: Path,
        device: str = "cpu",
        device_index: int = 0,
    ) -> None:
        self._recipe = recipe
        self._picture = scratch / f"view-{os.getpid()}.png"
        with _quiet():
            bpy.ops.wm.read_factory_settings(use_empty=True)
        scene = bpy.context.scene
        _set_up_cycles(scene, quality, threads)
        _set_up_output(scene, recipe, quality, size)
        _set_up_denoiser(scene, quality)
        _use_device(scene, device, device_index)
        _add_camera(scene, recipe)
        _add_sun_and_sky(scene, recipe)
        self._floor_color = _add_floor(scene, recipe)
        self._spot = _add_spot(scene, recipe)
        self._object: Any = None
        self.cycles_seconds = 0.0
        """Spent in Blender's render operator so far; the rest of the time is ours."""

    def load(self, mesh: Mesh) -> None:
        """Put an object on the stage, its bounding box centred on the origin, in place of the last.

        Raises:
            AssetError: Blender finds nothing to draw in it.
            RenderError: a texture did not arrive.
        """
        self.clear()
        with _quiet():
            self._object = _import_obj(mesh) if isinstance(mesh, ObjFile) else _build_mesh(mesh)
        _centre(self._object)
        for image in bpy.data.images:
            if image.source == "FILE" and tuple(image.size) == (0, 0):
                raise RenderError(
                    f"texture {Path(image.filepath).name} could not be read by Blender"
                )

    def clear(self) -> None:
        """Take the object away with all that belongs to it, or memory grows with every object."""
        if self._object is not None:
            mesh = self._object.data
            bpy.data.objects.remove(self._object)
            bpy.data.meshes.remove(mesh)
            self._object = None
        bpy.data.orphans_purge(do_recursive=True)

    def render(self, latents: Latents) -> NDArray[np.uint8]:
        """Render one view.

        Returns:
            (size, size, 3) uint8, sRGB in true RGB order.

        Raises:
            RenderError: Blender gave no picture.
        """
        self._pose(latents)
        with _quiet():
            begun = time.perf_counter()
            bpy.ops.render.render()
            self.cycles_seconds += time.perf_counter() - begun
            # The Render Result exposes no pixels; saving to a RAM disk costs a few milliseconds.
            bpy.data.images["Render Result"].save_render(str(self._picture))
        if not self._picture.is_file():
            raise RenderError("Blender rendered no picture")
        with Image.open(self._picture, formats=("PNG",)) as image:
            pixels = np.array(image.convert("RGB"))
        self._picture.unlink()
        return pixels

    def _pose(self, latents: Latents) -> None:
        recipe = self._recipe
        angles = (latents.rotation_x_rad, latents.rotation_y_rad, latents.rotation_z_rad)
        turn = Euler(angles, "XYZ").to_matrix().to_4x4()
        self._object.matrix_world = turn @ Matrix.Translation(latents.translation)
        # The published generator passes HSV colours as linear RGB.
        floor = colorsys.hsv_to_rgb(latents.floor_hue, *recipe.floor_saturation_value)
        self._floor_color.default_value = (*floor, 1.0)
        where = _spherical(recipe.spot_distance, latents.spot_theta_rad, latents.spot_phi_rad)
        self._spot.matrix_world = _looking_at_origin(where)
        self._spot.data.color = colorsys.hsv_to_rgb(latents.spot_hue, *recipe.spot_saturation_value)


def _set_up_cycles(scene: Any, quality: Quality, threads: int) -> None:
    scene.render.engine = "CYCLES"
    scene.render.threads_mode = "FIXED"
    scene.render.threads = threads
    scene.render.use_persistent_data = False
    scene.frame_set(0)
    cycles = scene.cycles
    cycles.seed = 0
    cycles.samples = quality.samples
    cycles.use_adaptive_sampling = quality.adaptive_threshold > 0
    cycles.adaptive_threshold = quality.adaptive_threshold
    cycles.sampling_pattern = quality.sampling_pattern
    cycles.diffuse_bounces = 3
    cycles.glossy_bounces = 0
    cycles.transmission_bounces = 0
    cycles.transparent_max_bounces = 8
    cycles.volume_bounces = 0
    cycles.max_bounces = 3
    cycles.use_light_tree = False
    cycles.debug_use_spatial_splits = True


def _set_up_output(scene: Any, recipe: Recipe, quality: Quality, size: int) -> None:
    render = scene.render
    render.resolution_x = render.resolution_y = size
    render.resolution_percentage = 100
    render.dither_intensity = quality.dither
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform = recipe.view_transform
    scene.view_settings.look = "None"
    scene.view_settings.exposure = 0.0
    scene.view_settings.gamma = 1.0
    render.image_settings.file_format = "PNG"
    render.image_settings.color_mode = "RGB"
    render.image_settings.color_depth = "8"
    render.image_settings.compression = 0


def _set_up_denoiser(scene: Any, quality: Quality) -> None:
    cycles = scene.cycles
    cycles.use_denoising = quality.denoiser == "cycles"
    if quality.denoiser == "compositor":
        _denoise_in_compositor(scene, quality)
        return
    cycles.denoiser = "OPENIMAGEDENOISE"
    cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
    cycles.denoising_prefilter = quality.prefilter
    _set_if_known(cycles, "denoising_quality", quality.denoise_quality)


def _denoise_in_compositor(scene: Any, quality: Quality) -> None:
    """Image, albedo and normal into a Denoise node, as BlenderProc wires it."""
    layer = scene.view_layers[0]
    layer.use_pass_diffuse_color = True
    layer.use_pass_normal = True
    scene.use_nodes = True
    tree = scene.node_tree
    tree.nodes.clear()
    source = tree.nodes.new("CompositorNodeRLayers")
    denoise = tree.nodes.new("CompositorNodeDenoise")
    output = tree.nodes.new("CompositorNodeComposite")
    denoise.use_hdr = True
    denoise.prefilter = quality.prefilter
    _set_if_known(denoise, "quality", quality.denoise_quality)
    for pass_name, socket in (("Image", "Image"), ("DiffCol", "Albedo"), ("Normal", "Normal")):
        tree.links.new(source.outputs[pass_name], denoise.inputs[socket])
    tree.links.new(denoise.outputs["Image"], output.inputs["Image"])


def _set_if_known(target: Any, name: str, value: Any) -> None:
    """Set a property that Blender 4.2 lacks in places (there its only behaviour is HIGH)."""
    if name in target.bl_rna.properties:
        setattr(target, name, value)


def _use_device(scene: Any, device: str, index: int) -> None:
    scene.cycles.device = "CPU" if device == "cpu" else "GPU"
    if device == "cpu":
        return
    preferences = bpy.context.preferences.addons["cycles"].preferences
    preferences.compute_device_type = device.upper()
    devices = preferences.get_devices_for_type(device.upper())
    usable = [d for d in devices if d.type == device.upper()]
    if index >= len(usable):
        raise ConfigError(
            f"Cycles sees {len(usable)} {device} devices, number {index} was asked for"
        )
    for each in devices:
        each.use = each == usable[index]


def _add_camera(scene: Any, recipe: Recipe) -> None:
    data = bpy.data.cameras.new("camera")
    data.sensor_width = 36.0
    data.angle = recipe.camera_angle
    data.clip_start, data.clip_end = 0.1, 1000.0
    camera = bpy.data.objects.new("camera", data)
    where = _spherical(recipe.camera_distance, recipe.camera_polar, math.pi / 2)
    camera.matrix_world = _looking_at_origin(where)
    scene.collection.objects.link(camera)
    scene.camera = camera


def _add_sun_and_sky(scene: Any, recipe: Recipe) -> None:
    sun = bpy.data.lights.new("sun", "SUN")  # without a rotation it shines straight down
    sun.energy = recipe.sun_energy
    sun.angle = recipe.sun_angle
    scene.collection.objects.link(bpy.data.objects.new("sun", sun))
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (*[recipe.world_radiance] * 3, 1.0)
    background.inputs["Strength"].default_value = 1.0
    scene.world = world


def _add_spot(scene: Any, recipe: Recipe) -> Any:
    data = bpy.data.lights.new("spot", "SPOT")
    data.energy = recipe.spot_energy
    data.spot_size = recipe.spot_size
    data.spot_blend = recipe.spot_blend
    data.shadow_soft_size = recipe.spot_radius  # lights.new gives 0: hard shadows
    spot = bpy.data.objects.new("spot", data)
    scene.collection.objects.link(spot)
    return spot


def _add_floor(scene: Any, recipe: Recipe) -> Any:
    """Add the floor; returns the socket of its colour."""
    half = recipe.floor_size / 2
    mesh = bpy.data.meshes.new("floor")
    corners = [(-half, -half, 0), (half, -half, 0), (half, half, 0), (-half, half, 0)]
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    material = bpy.data.materials.new("floor")
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    # Explicit: a material without nodes, as the original relies on, turns grey in Blender 5.
    diffuse = tree.nodes.new("ShaderNodeBsdfDiffuse")
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(diffuse.outputs["BSDF"], output.inputs["Surface"])
    mesh.materials.append(material)
    floor = bpy.data.objects.new("floor", mesh)
    floor.location = (0.0, 0.0, recipe.floor_height)
    scene.collection.objects.link(floor)
    return diffuse.inputs["Color"]


def _import_obj(mesh: ObjFile) -> Any:
    before = set(bpy.data.objects)
    bpy.ops.wm.obj_import(
        filepath=str(mesh.path),
        forward_axis="NEGATIVE_Z",
        up_axis="Y",
        validate_meshes=True,  # drops doubled faces as the legacy importer did; else they flicker
    )
    new = [obj for obj in bpy.data.objects if obj not in before]
    if len(new) != 1 or not len(new[0].data.polygons):
        raise AssetError(
            f"Blender made {len(new)} objects of the mesh, one with faces was expected"
        )
    for material in new[0].data.materials:
        mend_imported_material(material)
    new[0].data.transform(new[0].matrix_world)
    return new[0]


def _build_mesh(source: TriangleMesh) -> Any:
    mesh = bpy.data.meshes.new("object")
    mesh.from_pydata(source.vertices_V3.tolist(), [], source.faces_F3.tolist())
    mesh.polygons.foreach_set("material_index", source.material_F.astype(np.int32))
    if source.uv_F32 is not None:
        layer = mesh.uv_layers.new(name="uv")
        layer.uv.foreach_set("vector", source.uv_F32.astype(np.float32).ravel())
    if source.color_V3 is not None:
        rgba = np.column_stack([source.color_V3, np.ones(len(source.color_V3))])
        colors = mesh.color_attributes.new(VERTEX_COLOR, "FLOAT_COLOR", "POINT")
        colors.data.foreach_set("color", rgba.astype(np.float32).ravel())
    for material in source.materials:
        target = bpy.data.materials.new(material.name)
        target.use_nodes = True
        image = bpy.data.images.load(str(material.texture)) if material.texture else None
        fill_material(target, material, image, vertex_color=source.color_V3 is not None)
        mesh.materials.append(target)
    mesh.validate()  # before update(): an index out of range is a segmentation fault there
    mesh.update()
    if not len(mesh.polygons):
        raise AssetError("no face of the mesh is valid")
    mesh.shade_smooth()
    mesh.set_sharp_from_angle(angle=_SMOOTH_BELOW_RAD)
    mesh.transform(Matrix.Rotation(math.pi / 2, 4, "X"))  # (x, y, z) -> (x, -z, y): +Y up to +Z up
    built = bpy.data.objects.new("object", mesh)
    bpy.context.scene.collection.objects.link(built)
    return built


def _centre(obj: Any) -> None:
    """Bounding-box centre to the origin; the size stays."""
    points = np.empty(len(obj.data.vertices) * 3, dtype=np.float32)
    obj.data.vertices.foreach_get("co", points)
    corners = points.reshape(-1, 3).astype(np.float64)
    centre = (corners.min(axis=0) + corners.max(axis=0)) / 2
    obj.data.transform(Matrix.Translation(-Vector(centre)))


def _spherical(radius: float, polar: float, azimuth: float) -> Any:
    return radius * Vector(
        (
            math.sin(polar) * math.cos(azimuth),
            math.sin(polar) * math.sin(azimuth),
            math.cos(polar),
        )
    )


def _looking_at_origin(where: Any) -> Any:
    return Matrix.Translation(where) @ (-where).to_track_quat("-Z", "Y").to_matrix().to_4x4()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Send what Blender prints (per frame, per import) nowhere: it writes to the descriptor."""
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
