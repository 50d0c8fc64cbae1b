"""The report: one offline HTML page over one or many runs, and its figures as files.

No torch, but for the retrieval gallery, which is computed when a data set is given.

runs        what lies in a run folder
verdict     what is to be said of a method's numbers
canvas      marks on a sheet; palette, svg and png: their colours and two ways to draw them
chart       axes and legends
figures     all of them; scatter, rotation_curves, training_curves: what each shows
analysis    what `3die analyze` found of a run's predictor
tables      numbers as cells; facts, command, privacy: the text around them
gallery     retrieval looked at, with the trained method
page        all of it as one HTML file
"""
