"""From meshes to shards: sample latents, build the scene, render, write.

    plan = make_plan(RenderOptions(classes="chair"), maker=...)     # which objects, which latents
    render_dataset(plan, Path("data/chairs"), hardware=..., progress=Progress())

and in each worker process, per object (worker.py):

    fetched = source.fetch(ref, scratch, missing_texture="grey")    # through the gate
    stage.load(fetched.mesh)                                        # scene.py, the one that has bpy
    pictures = [stage.render(Latents.from_array(row)) for row in latents]
    files.put(part, seal(pack_sample(key, encoded, "jpg", latents, record)))
"""
