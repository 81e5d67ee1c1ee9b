//! Counts the generator's packets where their way ends, and drops them there.

use aya::maps::PerCpuArray;
use aya::programs::{SchedClassifier, TcAttachType, Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};
use tests::Namespace;

/// One or more places that count together.
pub(crate) struct Sink {
    object: Ebpf,
}

impl Sink {
    /// By native XDP, on an interface that receives from a wire.
    pub(crate) fn on_wire(place: &Namespace, interface: &str) -> Self {
        let mut object = load();
        let program: &mut Xdp = object.program_mut("wire_end").unwrap().try_into().unwrap();
        program.load().expect("the verifier takes the sink");
        place.within(|| program.attach(interface, XdpMode::Driver)).expect("the sink can be attached");
        Self { object }
    }

    /// By TC, on `eth0` of pods.
    pub(crate) fn in_pods(pods: &[Namespace]) -> Self {
        let mut object = load();
        let program: &mut SchedClassifier = object.program_mut("pod_end").unwrap().try_into().unwrap();
        program.load().expect("the verifier takes the sink");
        for pod in pods {
            let attached = pod.within(|| program.attach("eth0", TcAttachType::Ingress));
            attached.expect("the sink can be attached (TCX: Linux 6.6 or later)");
        }
        Self { object }
    }

    /// Packets counted since it was made.
    pub(crate) fn count(&self) -> u64 {
        let counts: PerCpuArray<_, u64> = PerCpuArray::try_from(self.object.map("arrived").unwrap()).unwrap();
        counts.get(&0, 0).expect("the sink counts").iter().sum()
    }
}

fn load() -> Ebpf {
    let bytes = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sink.bpf.o"));
    EbpfLoader::new().btf(None).load(bytes).expect("the sink can be loaded")
}
