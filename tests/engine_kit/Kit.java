// SPDX-License-Identifier: Apache-2.0

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

import org.ovirt.engine.core.common.businessentities.VmDeviceGeneralType;
import org.ovirt.engine.core.common.config.Config;
import org.ovirt.engine.core.common.config.ConfigValues;
import org.ovirt.engine.core.common.utils.customprop.VmPropertiesUtils;
import org.ovirt.engine.core.compat.Version;
import org.ovirt.engine.core.config.EngineConfigExecutor;
import org.ovirt.engine.core.config.entity.helper.DeviceCustomPropertiesValueHelper;
import org.ovirt.engine.core.config.entity.helper.UserDefinedVMPropertiesValueHelper;
import org.ovirt.engine.core.utils.EngineLocalConfig;
import org.ovirt.engine.core.utils.customprop.DevicePropertiesUtils;

/** oVirt engine's own code for custom properties and engine-config, on a file instead of a database. */
public class Kit {
    private static final String NAME = "vmfex";
    private static final String SQL = "../dbscripts/upgrade/pre_upgrade/0000_config.sql";
    private static final Pattern STATEMENT = Pattern.compile("select fn_db_\\w+?(_up_to)?\\('("
            + Arrays.stream(ConfigValues.values()).map(Enum::name).collect(Collectors.joining("|"))
            + ")', *'([^']*)', *(?:'([\\d.]+)', *)?'([\\w.]+)'\\);");
    /** engine-config looks for these by name, so javac has to be told of them. */
    private static final List<Class<?>> HELPERS =
            Arrays.asList(DeviceCustomPropertiesValueHelper.class, UserDefinedVMPropertiesValueHelper.class);

    public static void main(String[] args) throws Exception {
        if (args.length >= 2 && args[0].equals("config")) {
            load(Paths.get(args[1]));
            EngineConfigExecutor.main(Arrays.copyOfRange(args, 2, args.length));
        } else if (args.length == 3 && args[0].equals("check")) {
            load(Paths.get(args[1]));
            check(new Version(args[2]));
        } else {
            System.err.println("java Kit config STATE ARG...   as engine-config ARG... does\n"
                    + "java Kit check STATE VERSION   reads vm or nic, tab, base64 of a value; answers ok or refused");
            System.exit(2);
        }
    }

    /** What the engine does with a VM's or a vNIC profile's custom property, when it is entered. */
    private static void check(Version version) throws Exception {
        VmPropertiesUtils vms = VmPropertiesUtils.getInstance();
        DevicePropertiesUtils devices = DevicePropertiesUtils.getInstance();
        vms.init();
        devices.init();
        if (!vms.getSupportedClusterLevels().contains(version)) {
            System.err.println("no such version: " + version);
            System.exit(2);
        }
        System.err.println("vm " + NAME + "=" + vms.getAllVmProperties().get(version).get(NAME));
        System.err.println("nic " + NAME + "="
                + devices.getDeviceProperties(version, VmDeviceGeneralType.INTERFACE).get(NAME));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] parts = line.split("\t", -1);
            String value = new String(Base64.getDecoder().decode(parts[1]), UTF_8);
            String answer;
            try {
                boolean ok;
                if (parts[0].equals("vm")) {
                    ok = vms.validateVmProperties(version, NAME + "=" + value, new ArrayList<>());
                } else if (parts[0].equals("nic")) {
                    Map<String, String> properties = Collections.singletonMap(NAME, value);
                    ok = devices.validateProperties(version, VmDeviceGeneralType.INTERFACE, properties).isEmpty();
                } else {
                    throw new UnsupportedOperationException("neither vm nor nic: " + parts[0]);
                }
                answer = ok ? "ok" : "refused";
            } catch (Throwable t) {
                answer = t.getClass().getName();
            }
            System.out.println(answer);
        }
    }

    /** The engine's defaults, and over them what the file has, if there is one. */
    private static void load(Path state) throws IOException {
        Path sql = EngineLocalConfig.getInstance().getEtcDir().toPath().resolve(SQL);
        List<String> all = Version.ALL.stream().map(Version::getValue).collect(Collectors.toList());
        for (String line : Files.readAllLines(sql)) {
            Matcher m = STATEMENT.matcher(line);
            if (m.matches()) {
                int from = m.group(4) == null ? 0 : all.indexOf(m.group(4));
                List<String> versions = m.group(1) == null ? Collections.singletonList(m.group(5))
                        : all.subList(from, all.indexOf(m.group(5)) + 1);
                versions.forEach(version -> Config.defaults.put(m.group(2) + "/" + version, m.group(3)));
            }
        }
        Config.values.putAll(Config.defaults);
        if (Files.exists(state)) {
            Properties saved = new Properties();
            try (Reader in = Files.newBufferedReader(state)) {
                saved.load(in);
            }
            saved.stringPropertyNames().forEach(row -> Config.values.put(row, saved.getProperty(row)));
        }
        Config.save = () -> save(state);
    }

    /** Sorted and without a date, so that the same values make the same file. */
    private static void save(Path state) {
        try {
            Properties rows = new Properties();
            rows.putAll(new TreeMap<>(Config.values));
            StringWriter text = new StringWriter();
            rows.store(text, null);
            List<String> lines = Arrays.stream(text.toString().split("\\R"))
                    .filter(line -> !line.startsWith("#")).sorted().collect(Collectors.toList());
            Path written = state.resolveSibling(state.getFileName() + ".new");
            Files.write(written, lines);
            Files.move(written, state, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
