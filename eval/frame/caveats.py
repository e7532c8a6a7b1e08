"""What must be known beside the numbers of more than one benchmark."""

NO_PEOPLE = "the set names no people: a person may be in both parts, and intervals count faces as independent"
VAL_IS_TEST = (
    "no test labels are given out: as in papers, the validation part is tested, so that nothing was held back from "
    "the choice of a checkpoint"
)
NO_SPLIT = (
    "the owners give no split: the test is what data_builders.build drew or held out, so numbers compare only over "
    "the same split, and with published ones not at all"
)
OWN_FOLDS = "the owners' folds are not by person: a person may be in both parts"
APEX = "a still is asked about, the apex frame; published methods see the motion between onset and apex"
ONE_FRAME_RATE = "clips are shown as the frames that the build took from them, not whole, and without sound"
